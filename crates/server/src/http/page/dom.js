// Short ways to build the page. Whatever comes from a message goes in as text, never as markup.

const $ = (id) => document.getElementById(id);

function el(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

/** `MESSAGE_STATUS_SENT` is `SENT`. */
const short = (name, prefix) => name.slice(prefix.length + 1);

const isToday = (at) => at.toDateString() === new Date().toDateString();
const dayOf = (at) => at.toLocaleDateString([], { month: "short", day: "numeric" });

/** To the second: what is watched here takes less than one. */
function clock(time) {
  const at = new Date(time);
  const seconds = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return isToday(at) ? seconds : `${dayOf(at)} ${seconds}`;
}

function roughly(time) {
  const at = new Date(time);
  return isToday(at) ? at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) : dayOf(at);
}

/** Builds anew only what looks different now, so that reading and selecting are not disturbed. */
function redraw(node, from, build) {
  const looks = JSON.stringify(from);
  if (node.looks === looks) return;
  const atEnd = node.scrollHeight - node.scrollTop - node.clientHeight < 40;
  node.looks = looks;
  node.replaceChildren(...build());
  if (atEnd) node.scrollTop = node.scrollHeight;
}

function showError(id, error) {
  const place = $(id);
  place.hidden = !error;
  place.textContent = error?.message ?? "";
}

/** Runs what a form does: its button rests meanwhile, and a refusal is shown beneath. */
function onSubmit(form, errorId, act) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    try {
      await act();
      showError(errorId, null);
    } catch (error) {
      showError(errorId, error);
    } finally {
      button.disabled = false;
    }
  });
}
