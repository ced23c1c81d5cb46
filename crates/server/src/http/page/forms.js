// Actions: send as the service, reply as the customer, mark as read.

const TEST_RECIPIENTS = [
  ["+15005550101", "undelivered", "UNDELIVERED"],
  ["+15005550102", "opted-out", "FAILED: opted out"],
  ["+15005550103", "timeout", "the response is lost: UNCERTAIN, then DELIVERED"],
  ["+15005550104", "busy", "rejected once (429), then DELIVERED"],
  ["+15005550105", "invalid", "FAILED: invalid recipient"],
];
const EXAMPLES = {
  SMS: { from: "+15550001111", to: "+15552223333" },
  EMAIL: { from: "support@example.com", to: "ana@example.org" },
};

const channel = () => $("channel").value;

/** Target of a chat message: the external id, or without one the id of the selected chat, so that it does not create a new one. */
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

/** A chat does not use the simulator: both sides call the same method. */
function replyCall() {
  const body = $("reply-body").value;
  if (channel() === "CHAT") return ["MessageService/SendMessage", { ...chat("ROLE_USER"), body }];
  const request = { channel: `CHANNEL_${channel()}`, toAddress: $("to").value.trim(), fromAddress: $("from").value.trim() };
  if (channel() === "EMAIL") request.subject = `Re: ${$("subject").value}`;
  return ["SimulatorService/ReplyAs", { ...request, body }];
}

/** Shows the curl commands of both forms and the number of the phone. */
function describe() {
  // A command that is copied before a text is entered should work, too.
  const sent = sendRequest();
  showCurl("send-curl", "MessageService/SendMessage", { ...sent, body: sent.body || "Hello!" });
  const [method, request] = replyCall();
  showCurl("reply-curl", method, { ...request, body: request.body || "Thank you!" });
  $("phone-number").textContent = channel() === "CHAT" ? $("session").value : $("to").value;
}

/** Fills the forms from a conversation. */
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

/** Shows only the fields that the channel has. */
function fit() {
  const chat = channel() === "CHAT";
  for (const node of document.querySelectorAll(".addressed")) node.hidden = chat;
  document.querySelector(".chat").hidden = !chat;
  document.querySelector(".mail").hidden = channel() !== "EMAIL";
  $("when").closest("label").hidden = chat;
  for (const id of ["from", "to"]) $(id).disabled = chat;
  $("magic").replaceChildren(...TEST_RECIPIENTS.map(([phone, mailbox, outcome]) => {
    const address = channel() === "EMAIL" ? `${mailbox}@example.org` : phone;
    const use = el("button", { type: "button", className: "quiet" }, address);
    use.addEventListener("click", () => { $("to").value = address; selectTarget(); });
    return el("tr", {}, el("td", {}, use), el("td", {}, outcome));
  }));
  document.querySelector(".magic").hidden = chat;
}

/** Selects the conversation of the addresses in the form, if it exists. */
function selectTarget() {
  const target = state.conversations.find((it) => it.channel === `CHANNEL_${channel()}` && (channel() === "CHAT"
    ? it.externalId === $("session").value.trim()
    : it.participantFrom === $("from").value.trim() && it.participantTo === $("to").value.trim()));
  if ((target?.id ?? null) !== state.selected) select(target?.id ?? null);
  draw();
  refresh();
}

/** Selects the conversation of a message that was just sent. */
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
