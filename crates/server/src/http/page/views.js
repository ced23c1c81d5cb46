// What is shown: the conversations, the messages as we see them, and as the customer does.

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
      el("small", {}, roughly(lastMessageAt ?? createdAt)),
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

/** One message on one of the two screens; it moves only when it is new there. */
function article(screen, message, isOurSide, ...below) {
  const key = `${screen} ${message.id}`;
  const classes = ["message", isOurSide ? "out" : "", drawn.has(key) ? "" : "new"];
  drawn.add(key);
  return el("article", { className: classes.filter(Boolean).join(" ") }, bubble(message), ...below);
}

const drawn = new Set();
const isOurs = (message) => message.direction === "DIRECTION_OUTBOUND";

function drawMessages() {
  const looks = [state.messages, [...stories]];
  redraw($("messages"), looks, () => state.messages.map((message) => {
    const status = statusOf(message);
    const chip = el("button", { type: "button", className: "status", title: "What happened to it" }, status);
    chip.dataset.status = status;
    chip.addEventListener("click", () => toggleStory(message));
    const segments = message.segments > 1 ? `${message.segments} segments` : "";
    const meta = el("div", { className: "meta" }, clock(message.sendAt ?? message.createdAt), segments, chip);
    const item = article("ours", message, isOurs(message), meta);
    if (message.error?.message) item.append(el("div", { className: "error" }, message.error.message));
    const story = stories.get(message.id);
    if (story) item.append(storyOf(story.events));
    return item;
  }));
}

// The stories that are open, by message; each is read again when its message has changed.
const stories = new Map();

async function toggleStory(message) {
  if (stories.delete(message.id)) return drawMessages();
  await readStory(message);
}

async function readStory({ id, version }) {
  const { events } = await call("MessageService/ListMessageEvents", { id });
  stories.set(id, { version, events });
  drawMessages();
}

function keepStories() {
  for (const message of state.messages) {
    const story = stories.get(message.id);
    if (story && story.version !== message.version) {
      story.version = message.version;
      readStory(message).catch(() => stories.delete(message.id));
    }
  }
}

function storyOf(events) {
  return el("ul", { className: "story" }, ...events.map(({ time, kind, status, detail, attempt }) => {
    const number = kind === "attempt" ? String(attempt) : "";
    const became = status === "MESSAGE_STATUS_UNSPECIFIED" ? "" : short(status, "MESSAGE_STATUS");
    const words = [kind, number, became, detail];
    return el("li", {}, el("time", {}, clock(time)), words.filter(Boolean).join(" "));
  }));
}

/** On the phone is what has arrived there, and what was written there. */
function drawPhone() {
  const arrived = (message) => !isOurs(message) || ["DELIVERED", "READ"].includes(statusOf(message));
  const shown = state.messages.filter(arrived);
  redraw($("phone-messages"), shown, () => shown.map((message) =>
    article("theirs", message, !isOurs(message),
      el("div", { className: "meta" }, clock(message.deliveredAt ?? message.createdAt)))));
}

function draw() {
  const conversation = selected();
  keepStories();
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
