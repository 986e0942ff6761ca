for (const pre of document.querySelectorAll("pre")) {
  const block = document.createElement("div"), button = document.createElement("button");
  block.className = "block";
  button.className = "copy";
  button.type = "button";
  button.textContent = "Copy";
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(pre.textContent);
    } catch {  // without TLS there is no clipboard
      const area = document.createElement("textarea");
      area.value = pre.textContent;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };
  pre.replaceWith(block);
  block.append(pre, button);
}
addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details")) one.open = true;
});
