package main

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// peakResident returns the largest resident memory of a process in bytes since it began or since resetPeakResident; 0 where the
// platform does not tell.
func peakResident(pid int) int64 {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// resetPeakResident makes peakResident of this process begin anew (proc(5), clear_refs).
func resetPeakResident() {
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // where that is not to be had, the peak is that of the whole run
}

// processorTime returns what this process has used so far, in user and system mode; 0 where the platform does not tell.
func processorTime() time.Duration { return processorTimeOf(os.Getpid()) }

// processorTimeOf is processorTime of any process.
func processorTimeOf(pid int) time.Duration {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// proc(5): the name, in parentheses, may hold anything; user and system time are the 14th and 15th field, in hundredths of a second.
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}
