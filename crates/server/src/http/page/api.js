// API calls. Every action of the page is one call, and the page shows the equivalent curl command.

const OWNER_KEY = "parlance.owner";
const ownerInput = $("owner");
ownerInput.value = localStorage.getItem(OWNER_KEY) ?? "";

const owner = () => ownerInput.value.trim();

class CallError extends Error {
  constructor(status) {
    const detail = (name) => (status.details ?? []).find((it) => it["@type"]?.endsWith(name));
    const violations = detail(".BadRequest")?.fieldViolations ?? [];
    const lines = violations.map(({ field, description }) => `${field}: ${description}`);
    super(lines.length > 0 ? lines.join("\n") : status.message);
    this.reason = detail(".ErrorInfo")?.reason;
  }
}

async function call(method, request) {
  const headers = { "content-type": "application/json" };
  if (owner()) headers["x-parlance-owner"] = owner();
  const response = await fetch(`/parlance.v1.${method}`, { method: "POST", headers, body: JSON.stringify(request) });
  const reply = await response.json();
  if (!response.ok) throw new CallError(reply);
  return reply;
}

const quoted = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

function curl(method, request) {
  const header = owner() ? ` -H ${quoted(`x-parlance-owner: ${owner()}`)}` : "";
  return `curl ${location.origin}/parlance.v1.${method}${header} --json ${quoted(JSON.stringify(request))}`;
}

/** Shows the curl command of a call in this element. */
function showCurl(id, method, request) {
  const node = $(id);
  if (node.childElementCount === 0) {
    const code = el("code");
    node.append(code, copyButton(() => code.textContent));
  }
  node.firstElementChild.textContent = curl(method, request);
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
  // Browsers offer no clipboard API to a page that was loaded over plain HTTP from another machine.
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = el("textarea", { value: text });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
