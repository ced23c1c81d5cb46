// What one can do: write as the service, answer as the customer, mark as read.

const MAGIC = [
  ["+15005550001", "undelivered", "is not delivered"],
  ["+15005550002", "opted-out", "has opted out"],
  ["+15005550003", "timeout", "the answer is lost after it was taken"],
  ["+15005550004", "busy", "put off once (429), then delivered"],
  ["+15005550005", "invalid", "does not exist"],
];
const EXAMPLES = {
  SMS: { from: "+15550001111", to: "+15552223333" },
  EMAIL: { from: "support@example.com", to: "ana@example.org" },
};

const channel = () => $("channel").value;

/** By its name; one without a name by its id, else each message would open another. */
function chat(role) {
  const externalId = $("session").value.trim();
  const conversation = selected();
  if (!externalId && conversation?.channel === "CHANNEL_CHAT") return { conversationId: conversation.id, role };
  return { channel: "CHANNEL_CHAT", externalId, role };
}

function sendRequest() {
  const request = channel() === "CHAT" ? chat("ROLE_ASSISTANT") : { channel: `CHANNEL_${channel()}` };
  if (channel() !== "CHAT") {
    Object.assign(request, { fromAddress: $("from").value.trim(), toAddress: $("to").value.trim() });
    if (channel() === "EMAIL") request.subject = $("subject").value;
    const seconds = Number($("when").value);
    if (seconds > 0) request.sendAt = new Date(Date.now() + seconds * 1000).toISOString();
  }
  request.body = $("body").value;
  return request;
}

/** In a chat there is no far side: both speak by the same method. */
function replyCall() {
  const body = $("reply-body").value;
  if (channel() === "CHAT") return ["MessageService/SendMessage", { ...chat("ROLE_USER"), body }];
  const request = { channel: `CHANNEL_${channel()}`, toAddress: $("to").value.trim(), fromAddress: $("from").value.trim() };
  if (channel() === "EMAIL") request.subject = `Re: ${$("subject").value}`;
  return ["SimulatorService/ReplyAs", { ...request, body }];
}

/** Shows the lines of both forms, and whose phone it is. */
function describe() {
  // A line that is copied before anything was written should work, too.
  const sent = sendRequest();
  showCurl("send-curl", "MessageService/SendMessage", { ...sent, body: sent.body || "Hello!" });
  const [method, request] = replyCall();
  showCurl("reply-curl", method, { ...request, body: request.body || "Thank you!" });
  $("phone-number").textContent = channel() === "CHAT" ? $("session").value : $("to").value;
}

/** The forms as they fit a conversation. */
function fill(conversation) {
  if (!conversation) return;
  $("channel").value = short(conversation.channel, "CHANNEL");
  if (channel() === "CHAT") {
    $("session").value = conversation.externalId;
  } else {
    $("from").value = conversation.participantFrom;
    $("to").value = conversation.participantTo;
  }
  fit();
}

/** Only the fields that the channel has. */
function fit() {
  const chat = channel() === "CHAT";
  for (const node of document.querySelectorAll(".addressed")) node.hidden = chat;
  document.querySelector(".chat").hidden = !chat;
  document.querySelector(".mail").hidden = channel() !== "EMAIL";
  $("when").closest("label").hidden = chat;
  for (const id of ["from", "to"]) $(id).disabled = chat;
  $("magic").replaceChildren(...MAGIC.map(([phone, mailbox, fate]) => {
    const address = channel() === "EMAIL" ? `${mailbox}@example.org` : phone;
    const use = el("button", { type: "button", className: "quiet" }, address);
    use.addEventListener("click", () => { $("to").value = address; follow(); });
    return el("tr", {}, el("td", {}, use), el("td", {}, fate));
  }));
  document.querySelector(".magic").hidden = chat;
}

/** Looks at the conversation that the form now means, if there is one. */
function follow() {
  const meant = state.conversations.find((it) => it.channel === `CHANNEL_${channel()}` && (channel() === "CHAT"
    ? it.externalId === $("session").value.trim()
    : it.participantFrom === $("from").value.trim() && it.participantTo === $("to").value.trim()));
  if ((meant?.id ?? null) !== state.selected) select(meant?.id ?? null);
  draw();
  refresh();
}

/** After something was said: look at the conversation that it is in. */
function goTo(message) {
  if (state.selected !== message.conversationId) select(message.conversationId);
  return refresh();
}

onSubmit($("send"), "send-error", async () => {
  const message = await call("MessageService/SendMessage", sendRequest());
  $("body").value = "";
  await goTo(message);
});

onSubmit($("reply"), "reply-error", async () => {
  const message = await call(...replyCall());
  $("reply-body").value = "";
  await goTo(message);
});

$("read").addEventListener("click", async () => {
  await call("ConversationService/MarkAsRead", { id: state.selected }).catch((error) => showError("send-error", error));
  refresh();
});
