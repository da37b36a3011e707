// Puts a chart where its script element stands: <script src="…/embed.js" data-chart="…" async></script>
(function () {
  var own = document.querySelectorAll("script[data-chart]");
  for (var i = 0; i < own.length; i++) {
    var script = own[i];
    if (script.dataset.done) continue;
    script.dataset.done = "1";
    var address;
    try { address = new URL(script.dataset.chart, script.src); } catch (e) { continue; }
    if (address.origin !== new URL(script.src).origin) continue; // charts of this site alone
    var frame = document.createElement("iframe");
    frame.src = address.href;
    frame.title = script.dataset.title || "Chart by Outcry";
    frame.loading = "lazy";
    frame.height = "460";
    frame.setAttribute("style", "border:0;width:100%;max-width:" + (script.dataset.width || "720") + "px");
    script.parentNode.insertBefore(frame, script.nextSibling);
    (function (frame, origin) {
      addEventListener("message", function (e) {
        if (e.source === frame.contentWindow && e.origin === origin && e.data && e.data.outcry === "height" && e.data.height > 0) {
          frame.height = String(Math.min(5000, e.data.height));
        }
      });
    })(frame, address.origin);
  }
})();
