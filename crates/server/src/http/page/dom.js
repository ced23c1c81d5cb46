// Helpers to build the page. Content of messages is inserted as text, never as markup.

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

/** Time with seconds: deliveries take less than a second. */
function clock(time) {
  const at = new Date(time);
  const seconds = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return isToday(at) ? seconds : `${dayOf(at)} ${seconds}`;
}

function shortTime(time) {
  const at = new Date(time);
  return isToday(at) ? at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) : dayOf(at);
}

/** Rebuilds a node only if its data has changed, so that scrolling and text selection are not disturbed. */
function redraw(node, data, build) {
  const fingerprint = JSON.stringify(data);
  if (node.fingerprint === fingerprint) return;
  const atEnd = node.scrollHeight - node.scrollTop - node.clientHeight < 40;
  node.fingerprint = fingerprint;
  node.replaceChildren(...build());
  if (atEnd) node.scrollTop = node.scrollHeight;
}

function showError(id, error) {
  const node = $(id);
  node.hidden = !error;
  node.textContent = error?.message ?? "";
}

/** Runs the action of a form: its button is disabled meanwhile, and an error is shown below it. */
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
