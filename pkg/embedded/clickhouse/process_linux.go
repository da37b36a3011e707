package clickhouse

import "syscall"

// executable stays the running program when its file is replaced by an upgrade, so that a later restart of the engine
// starts the same code.
func executable() (string, error) { return "/proc/self/exe", nil }

// processAttributes gives the engine a process group of its own, so that Ctrl-C on the terminal reaches only the parent, which
// then ends the engine when it wants to; and has the kernel kill the engine with the parent.
//
// The kernel means the parent's thread that started it: see Server.launch.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
