// Views: the conversations, the messages of the service, and the phone of the customer.

function title(conversation) {
  return conversation.title || conversation.participantTo || conversation.externalId || "Chat";
}

function drawConversations() {
  $("no-conversations").hidden = state.conversations.length > 0;
  redraw($("conversations"), [state.conversations, state.selected], () => state.conversations.map((conversation) => {
    const { id, channel, participantFrom, unreadCount, lastMessageAt, createdAt } = conversation;
    const unread = Number(unreadCount);
    const button = el("button", { type: "button" },
      el("b", {}, title(conversation)),
      el("small", {}, shortTime(lastMessageAt ?? createdAt)),
      el("small", {}, [short(channel, "CHANNEL"), participantFrom].filter(Boolean).join(" · ")));
    if (unread > 0) button.append(el("span", { className: "badge", title: `${unread} unread` }, String(unread)));
    button.setAttribute("aria-current", id === state.selected);
    button.addEventListener("click", () => { select(id); fill(selected()); draw(); refresh(); });
    return el("li", {}, button);
  }));
}

function bubble(message) {
  const text = el("div", { className: "text" });
  if (message.subject) text.append(el("b", {}, message.subject));
  text.append(message.body);
  for (const { filename } of message.attachments) text.append(el("i", {}, `📎 ${filename || "file"}`));
  return text;
}

/** A message on one of the two screens. It is animated only when it is new there. */
function article(screen, message, isOurSide, ...below) {
  const key = `${screen} ${message.id}`;
  const classes = ["message", isOurSide ? "out" : "", drawn.has(key) ? "" : "new"];
  drawn.add(key);
  return el("article", { className: classes.filter(Boolean).join(" ") }, bubble(message), ...below);
}

const drawn = new Set();
const isOurs = (message) => message.direction === "DIRECTION_OUTBOUND";

function drawMessages() {
  redraw($("messages"), [state.messages, [...openEvents]], () => state.messages.map((message) => {
    const status = statusOf(message);
    const chip = el("button", { type: "button", className: "status", title: "Show delivery events" }, status);
    chip.dataset.status = status;
    chip.addEventListener("click", () => toggleEvents(message));
    const segments = message.segments > 1 ? `${message.segments} segments` : "";
    const meta = el("div", { className: "meta" }, clock(message.sendAt ?? message.createdAt), segments, chip);
    const item = article("ours", message, isOurs(message), meta);
    if (message.error?.message) item.append(el("div", { className: "error" }, message.error.message));
    const open = openEvents.get(message.id);
    if (open) item.append(eventList(open.events));
    return item;
  }));
}

// Delivery events that are shown, by message id. They are reloaded when their message has changed.
const openEvents = new Map();

async function toggleEvents(message) {
  if (openEvents.delete(message.id)) return drawMessages();
  await loadEvents(message);
}

async function loadEvents({ id, version }) {
  const { events } = await call("MessageService/ListMessageEvents", { id });
  openEvents.set(id, { version, events });
  drawMessages();
}

function reloadEvents() {
  for (const message of state.messages) {
    const open = openEvents.get(message.id);
    if (open && open.version !== message.version) {
      open.version = message.version;
      loadEvents(message).catch(() => openEvents.delete(message.id));
    }
  }
}

function eventList(events) {
  return el("ul", { className: "events" }, ...events.map(({ time, kind, status, detail, attempt }) => {
    const number = kind === "attempt" ? String(attempt) : "";
    const newStatus = status === "MESSAGE_STATUS_UNSPECIFIED" ? "" : short(status, "MESSAGE_STATUS");
    const parts = [kind, number, newStatus, detail];
    return el("li", {}, el("time", {}, clock(time)), parts.filter(Boolean).join(" "));
  }));
}

/** The phone shows the messages that were delivered to it, and those that were sent from it. */
function drawPhone() {
  const arrived = (message) => !isOurs(message) || ["DELIVERED", "READ"].includes(statusOf(message));
  const shown = state.messages.filter(arrived);
  redraw($("phone-messages"), shown, () => shown.map((message) =>
    article("theirs", message, !isOurs(message),
      el("div", { className: "meta" }, clock(message.deliveredAt ?? message.createdAt)))));
}

function draw() {
  const conversation = selected();
  reloadEvents();
  drawConversations();
  drawMessages();
  drawPhone();
  $("thread-title").textContent = conversation ? title(conversation) : "New conversation";
  $("welcome").hidden = state.messages.length > 0 || state.selected !== null;
  const unread = Number(conversation?.unreadCount ?? 0) > 0;
  $("read").hidden = $("read-curl").hidden = !unread;
  if (unread) showCurl("read-curl", "ConversationService/MarkAsRead", { id: conversation.id });
  describe();
}
