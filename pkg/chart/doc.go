// Package chart draws what was heard about one service as SVG and PNG: people complaining, the expected band, alarms, and the moments of
// incidents. It must never query, read a clock or guess: what is drawn is what was passed in.
//
// What is not obvious:
//
//   - It writes SVG itself. github.com/go-analyze/charts, the library that was considered, has category axes only, no filled band between
//     two lines, no shaded spans of time, fixed colors instead of style sheets, and no accessible names; what remains of a chart without
//     those is a handful of paths.
//   - PNG is painted from the same layout with git.sr.ht/~sbinet/gg (kept up, pure Go, as gonum/plot uses it). Its letters are set by
//     github.com/go-text/typesetting, a port of HarfBuzz, which Arabic and Indic scripts need: in the Go fonts, which know Latin, Greek and
//     Cyrillic, and for all else in fonts of the machine. So PNG of one chart may differ between machines, in those letters only. Where no
//     font has a letter, the name of its script stands there in brackets, and a note in the picture says so.
//   - A chart within a page takes its colors from the page's style sheet ([Style]); one that stands alone ([Options.Standalone]) carries
//     the same rules, dark colors included, so it looks the same as an image in another page.
//   - The text is not scaled with the picture: an SVG made for 960 pixels is not readable on a phone. Draw it for the width at hand.
//   - Browsers differ in their fonts, so the space that a label takes is estimated, on the wide side.
package chart
