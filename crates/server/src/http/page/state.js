// What the page knows, and how it learns of changes: two small questions, asked only while somebody looks.

const EVERY_MS = 700;
const AFTER_FAILURE_MS = 2500;
// A status that nothing is expected to follow. DELIVERED may become READ: every few rounds all is read anyway.
const FINAL = new Set(["DELIVERED", "READ", "UNDELIVERED", "FAILED", "EXPIRED", "CANCELED", "RECEIVED"]);
const ALL_EVERY = 10;

const state = { conversations: [], selected: null, fresh: false, messages: [], seen: null, round: 0, turn: 0 };

const selected = () => state.conversations.find(({ id }) => id === state.selected);
const statusOf = (message) => short(message.status, "MESSAGE_STATUS");

/** Looks at another conversation, or with `null` at none: a new one is to be written. */
function select(id) {
  Object.assign(state, { selected: id, fresh: id === null, messages: [], seen: null, turn: state.turn + 1 });
}

/** Forgets everything: somebody else looks now. */
function forget() {
  select(null);
  Object.assign(state, { conversations: [], fresh: false });
}

async function learn() {
  // What was asked before somebody clicked elsewhere is not an answer any more.
  const turn = state.turn;
  const { conversations } = await call("ConversationService/ListConversations", { pageSize: 100 });
  if (turn !== state.turn) return;
  state.conversations = conversations;
  if (!state.selected && !state.fresh && conversations.length > 0) state.selected = conversations[0].id;
  if (!state.selected) return;
  const seen = selected()?.version;
  const settled = state.messages.every((message) => FINAL.has(statusOf(message)));
  if (settled && seen === state.seen && state.round++ % ALL_EVERY !== 0) return;
  const request = { conversationId: state.selected, pageSize: 50 };
  const { messages } = await call("MessageService/ListMessages", request);
  if (turn !== state.turn) return;
  Object.assign(state, { messages: messages.reverse(), seen });
}

let timer = null;
let asking = false;
let again = false;

/** Asks now; and from then on, again and again. */
async function refresh() {
  if (asking) { again = true; return; }
  clearTimeout(timer);
  if (document.hidden) return;
  asking = true;
  let pause = EVERY_MS;
  try {
    await learn();
    live("live", "live");
  } catch (error) {
    pause = AFTER_FAILURE_MS;
    // A refusal is an answer: the owner's name may be wrong.
    live("away", error instanceof Refusal ? error.message : "the service does not answer; trying again");
    if (error.reason === "CONVERSATION_NOT_FOUND") select(null);
  } finally {
    asking = false;
  }
  draw();
  timer = setTimeout(refresh, again ? 0 : pause);
  again = false;
}

function live(name, text) {
  const place = $("live");
  place.dataset.state = name;
  if (place.textContent !== text) place.textContent = text;
}
