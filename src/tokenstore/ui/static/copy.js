// Puts the value of the field named by data-copy on the clipboard. Without JavaScript, or where the browser offers no
// clipboard (plain http), the button stays hidden and the text is there to select.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  const said = document.querySelector("[data-copied]");
  field.addEventListener("focus", () => field.select());
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    said.textContent = "";
    try {
      await navigator.clipboard.writeText(field.value);
      said.textContent = "Copied.";
    } catch {
      field.select();
      said.textContent = "The browser does not allow it. The token is selected: copy it with the keyboard or the menu.";
    }
  });
}
