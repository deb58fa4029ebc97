() => {
  const roles = ["button", "checkbox", "combobox", "link", "slider", "switch", "tab"].map((role) => `[role='${role}']`);
  const interactive = `a[href], button, input, select, textarea, summary, [tabindex]:not([tabindex='-1']), ${roles}`;
  // One member of these is a stop of Tab, and arrow keys do the rest.
  const groups =
    "[role='radiogroup'], [role='tablist'], [role='toolbar'], [role='group'], [data-testid='stNumberInput']";
  const figures = ".js-plotly-plot"; // the mouse zooms and hides lines; the table of the figure is for all

  const name = (element) => {
    const key = element.closest("[class*='st-key-']")?.className.match(/st-key-\S+/)[0];
    const text = (element.getAttribute("aria-label") ?? element.textContent).trim().slice(0, 40);
    const place = key ?? element.closest("[data-testid]")?.dataset.testid;
    return [element.tagName.toLowerCase(), place, text].filter(Boolean).join(" ");
  };

  const isForMouse = (element) => {
    const shown = element.matches("input") ? element.closest("label") ?? element : element;
    const { width, height } = shown.getBoundingClientRect();
    const isPointed = (part) => getComputedStyle(part).cursor === "pointer";
    return (element.matches(interactive) || (isPointed(element) && !isPointed(element.parentElement))) &&
      width > 1 && height > 1 && shown.checkVisibility({ visibilityProperty: true }) &&
      !element.matches(":disabled, [type='file']") && !element.closest(`[aria-disabled='true'], [inert], ${figures}`);
  };

  // Return what a focus may change: the element, what is around it, and what is in it.
  const look = (element) => {
    const parts = [...(element.closest("label") ?? element).querySelectorAll("*")].slice(0, 12);
    for (let part = element; part && parts.length < 17; part = part.parentElement) parts.push(part);
    return parts.map((part) => {
      const style = getComputedStyle(part);
      const outline = style.outlineStyle !== "none" && [style.outlineStyle, style.outlineWidth, style.outlineColor];
      return [outline, style.boxShadow, style.borderColor, style.borderWidth, style.backgroundColor].join();
    }).join(";");
  };

  const still = document.createElement("style");
  still.textContent = "* { transition: none !important; animation: none !important; }";
  document.head.append(still);
  document.body.tabIndex = -1; // Tab starts from the last focus: the top of the page
  document.body.focus();
  document.body.removeAttribute("tabindex");
  const all = [...document.querySelectorAll("body *")];
  const looks = new Map(
    all.filter((element) => element.matches(interactive)).map((element) => [element, look(element)]),
  );
  const stops = new Set();
  const faint = [];

  window.walk = {
    // Note the element with the focus; return whether it is a new one.
    step: () => {
      const element = document.activeElement;
      if (element === document.body || stops.has(element)) return false;
      stops.add(element);
      if (looks.get(element) === look(element)) faint.push(name(element));
      return true;
    },
    end: () => {
      still.remove();
      const isReached = (element) => [...stops].some((stop) => element.contains(stop) || stop.contains(element)) ||
        [...stops].some((stop) => element.closest(groups)?.contains(stop) || element.closest("label")?.contains(stop));
      const missed = all.filter((element) => element.isConnected && isForMouse(element) && !isReached(element));
      return { stops: stops.size, missed: missed.map(name), faint };
    },
  };
}
