function adaptKeyboard() {
  if (window.vigieKeyboard) return;
  window.vigieKeyboard = true;

  // In a table, arrow keys move, Space chooses a row, Enter shows the whole text of a cell, and Tab leaves. Streamlit
  // alone ignores the arrow keys while a row is chosen, takes Tab for the next cell, and chooses by Shift+Space.
  const findTable = (event) => event.target.closest?.("canvas[data-testid='data-grid-canvas']");

  // Before Streamlit sees the key.
  document.addEventListener(
    "keydown",
    (event) => {
      const table = findTable(event);
      if (table && event.key === "Tab") {
        event.stopPropagation();
        if (event.shiftKey) table.focus({ preventScroll: true }); // the stop before a cell is its table
      } else if (table && event.key === " " && !event.shiftKey && !table.querySelector("[aria-readonly='false']")) {
        event.stopPropagation();
        event.preventDefault();
        event.target.dispatchEvent(
          new KeyboardEvent("keydown", { key: " ", code: "Space", keyCode: 32, shiftKey: true, bubbles: true }),
        );
      }
    },
    true,
  );

  document.addEventListener("keydown", (event) => {
    const table = findTable(event);
    if (table === event.target && event.key.startsWith("Arrow") && !event.defaultPrevented) {
      // Streamlit has left the key alone, because no cell has the focus: the first of the chosen row gets it.
      const row = table.querySelector("tbody [role='row'][aria-selected='true']") ?? table;
      row.querySelector("[role='gridcell']")?.focus({ preventScroll: true });
      event.preventDefault();
    } else if (event.target.parentElement?.matches(sectionHeader) && ["Enter", " "].includes(event.key)) {
      event.target.click();
      event.preventDefault();
    }
  });

  // Streamlit opens and closes the sections of the menu by mouse only.
  const sectionHeader = "[data-testid='stNavSectionHeader']";
  const adaptSections = () => {
    for (const header of document.querySelectorAll(sectionHeader)) {
      const title = header.firstElementChild;
      const isOpen = String(header.nextElementSibling !== null);
      if (title.ariaExpanded !== isOpen) Object.assign(title, { role: "button", tabIndex: 0, ariaExpanded: isOpen });
    }
  };
  new MutationObserver(adaptSections).observe(document.body, { childList: true, subtree: true });
  adaptSections();
}
