// Tells the page that frames an embed how high it is.
(function () {
  function tell() {
    parent.postMessage({ outcry: "height", height: Math.ceil(document.documentElement.getBoundingClientRect().height) }, "*");
  }
  if (window.ResizeObserver) new ResizeObserver(tell).observe(document.documentElement);
  addEventListener("load", tell);
  tell();
})();
