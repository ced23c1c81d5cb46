// State of the page. It is polled by two small calls, and only while the page is visible.

const POLL_MS = 700;
const RETRY_MS = 2500;
// Statuses that usually do not change any more. DELIVERED may become READ: messages are reloaded every few rounds anyway.
const FINAL = new Set(["DELIVERED", "READ", "UNDELIVERED", "FAILED", "EXPIRED", "CANCELED", "RECEIVED"]);
const RELOAD_EVERY = 10;

const state = { conversations: [], selected: null, fresh: false, messages: [], seen: null, round: 0, selection: 0 };

const selected = () => state.conversations.find(({ id }) => id === state.selected);
const statusOf = (message) => short(message.status, "MESSAGE_STATUS");

/** Selects a conversation, or none with `null`, to start a new one. */
function select(id) {
  Object.assign(state, { selected: id, fresh: id === null, messages: [], seen: null, selection: state.selection + 1 });
}

/** Clears the state when the owner changes. */
function reset() {
  select(null);
  Object.assign(state, { conversations: [], fresh: false });
}

async function load() {
  // A reply to a request from before the selection changed is discarded.
  const selection = state.selection;
  const { conversations } = await call("ConversationService/ListConversations", { pageSize: 100 });
  if (selection !== state.selection) return;
  state.conversations = conversations;
  if (!state.selected && !state.fresh && conversations.length > 0) state.selected = conversations[0].id;
  if (!state.selected) return;
  const seen = selected()?.version;
  const settled = state.messages.every((message) => FINAL.has(statusOf(message)));
  if (settled && seen === state.seen && state.round++ % RELOAD_EVERY !== 0) return;
  const request = { conversationId: state.selected, pageSize: 50 };
  const { messages } = await call("MessageService/ListMessages", request);
  if (selection !== state.selection) return;
  Object.assign(state, { messages: messages.reverse(), seen });
}

let timer = null;
let loading = false;
let again = false;

/** Loads now, and schedules the next load. */
async function refresh() {
  if (loading) { again = true; return; }
  clearTimeout(timer);
  if (document.hidden) return;
  loading = true;
  let pause = POLL_MS;
  try {
    await load();
    showConnection("live", "Connected");
  } catch (error) {
    pause = RETRY_MS;
    // An error reply names its cause, for example an invalid owner.
    showConnection("lost", error instanceof CallError ? error.message : "The service does not respond; retrying");
    if (error.reason === "CONVERSATION_NOT_FOUND") select(null);
  } finally {
    loading = false;
  }
  draw();
  loadWebhooks();
  timer = setTimeout(refresh, again ? 0 : pause);
  again = false;
}

function showConnection(name, text) {
  const node = $("live");
  node.dataset.state = name;
  if (node.textContent !== text) node.textContent = text;
}
