// Command outcry is every stage of Outcry, and what a person types to look at it.
//
// main.go turns the process's surroundings into an app and the outcome into an exit code; root.go is the tree of commands; config.go the configuration of
// everything, one section a stage; each subcommand has a file of its own, with a method of app that returns it. The wiring of stages is written out by hand,
// in the order in which data flows. It must never hold a stage's logic.
//
// Commands take their input, output and environment from the app, never from package os, so that tests run the real command side by side. Results go to
// standard output and everything else to standard error. A command returns errors and never exits: 0 is success, 1 a failure, 2 a usage error, 130 an
// interruption. It is the only importer of urfave/cli (subcommands with flags anywhere on the line).
package main
