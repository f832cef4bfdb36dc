package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Bytes of memory that a process has, less the pages of files that it maps: those are the kernel's to take back.
func residentBytes(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	check(err)
	fields := strings.Fields(string(text))
	all, err := strconv.ParseInt(fields[1], 10, 64)
	check(err)
	ofFiles, err := strconv.ParseInt(fields[2], 10, 64)
	check(err)
	return (all - ofFiles) * int64(os.Getpagesize())
}

// Seconds of CPU that the threads which a process has now have used.
func processCPU(pid int) float64 {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	check(err)
	var total float64
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // it has ended
		}
		nanoseconds, err := strconv.ParseFloat(strings.Fields(string(text))[0], 64)
		check(err)
		total += nanoseconds / 1e9
	}
	return total
}
