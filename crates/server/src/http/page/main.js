// Entry point: event listeners and the first load.

$("channel").addEventListener("change", () => {
  const example = EXAMPLES[channel()];
  if (example) { $("from").value = example.from; $("to").value = example.to; }
  fit();
  selectTarget();
});
$("new").addEventListener("click", () => { select(null); draw(); $("to").focus(); $("to").select(); });
for (const id of ["subject", "when", "body", "reply-body"]) $(id).addEventListener("input", describe);
for (const id of ["from", "to", "session"]) $(id).addEventListener("input", selectTarget);
// Enter sends; Shift+Enter inserts a line break.
$("body").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("send").requestSubmit();
});
ownerInput.addEventListener("change", () => {
  localStorage.setItem(OWNER_KEY, owner());
  reset();
  draw();
  refresh();
});
document.addEventListener("visibilitychange", refresh);

fit();
draw();
await refresh();
fill(selected());
draw();
