// Webhooks of the simulator: listed while their panel is open, each with a button that replays it.

const webhooksPanel = $("webhooks-panel");

async function loadWebhooks() {
  if (!webhooksPanel.open) return;
  try {
    const { webhooks } = await call("SimulatorService/ListWebhooks", { pageSize: 50 });
    drawWebhooks(webhooks);
    showError("webhooks-error", null);
  } catch (error) {
    showError("webhooks-error", error);
  }
}

function drawWebhooks(webhooks) {
  $("no-webhooks").hidden = webhooks.length > 0;
  redraw($("webhooks"), webhooks, () => webhooks.map((webhook) => {
    const parameter = (name) => webhook.parameters.find((it) => it.name === name)?.value ?? "";
    const times = webhook.attempts > 1 ? `${webhook.attempts} times` : "";
    const parts = [parameter("MessageStatus"), parameter("To"), short(webhook.state, "WEBHOOK_STATE"), times];
    const replay = el("button", { type: "button", className: "quiet" }, "Replay");
    replay.addEventListener("click", () => replayWebhook(webhook.id));
    return el("li", {}, el("time", {}, clock(webhook.occurredAt)), parts.filter(Boolean).join(" "), " ", replay);
  }));
}

async function replayWebhook(id) {
  try {
    await call("SimulatorService/ReplayWebhook", { id });
  } catch (error) {
    showError("webhooks-error", error);
    return;
  }
  await loadWebhooks();
}

webhooksPanel.addEventListener("toggle", loadWebhooks);
