// The calls: every action of this page is one of them, and shows itself as the curl line that does the same.

const OWNER_KEY = "parlance.owner";
const ownerInput = $("owner");
ownerInput.value = localStorage.getItem(OWNER_KEY) ?? "";

const owner = () => ownerInput.value.trim();

class Refusal extends Error {
  constructor(status) {
    const detail = (name) => (status.details ?? []).find((it) => it["@type"]?.endsWith(name));
    const wrong = detail(".BadRequest")?.fieldViolations ?? [];
    const lines = wrong.map(({ field, description }) => `${field}: ${description}`);
    super(lines.length > 0 ? lines.join("\n") : status.message);
    this.reason = detail(".ErrorInfo")?.reason;
  }
}

async function call(method, request) {
  const headers = { "content-type": "application/json" };
  if (owner()) headers["x-parlance-owner"] = owner();
  const response = await fetch(`/parlance.v1.${method}`, { method: "POST", headers, body: JSON.stringify(request) });
  const reply = await response.json();
  if (!response.ok) throw new Refusal(reply);
  return reply;
}

const quoted = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

function curl(method, request) {
  const header = owner() ? ` -H ${quoted(`x-parlance-owner: ${owner()}`)}` : "";
  return `curl ${location.origin}/parlance.v1.${method}${header} --json ${quoted(JSON.stringify(request))}`;
}

/** Puts the line of a call into its place; the place is made at first use. */
function showCurl(id, method, request) {
  const place = $(id);
  if (place.childElementCount === 0) {
    const code = el("code");
    place.append(code, copyButton(() => code.textContent));
  }
  place.firstElementChild.textContent = curl(method, request);
}

function copyButton(text) {
  const button = el("button", { type: "button", className: "quiet" }, "Copy");
  button.addEventListener("click", async () => {
    await copy(text());
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1200);
  });
  return button;
}

async function copy(text) {
  // A page that came over plain HTTP from another machine has no clipboard of its own.
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = el("textarea", { value: text });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
