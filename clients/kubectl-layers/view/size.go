package view

import "fmt"

// Bytes as people compare them, "83.4MiB", as layers.strata.dev's tables have them.
func Bytes(bytes int64) string {
	if bytes < 1024 && bytes > -1024 {
		return fmt.Sprintf("%dB", bytes)
	}
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	value, unit := float64(bytes), 0
	// What would be printed as 1024.0 of a unit is 1.0 of the next.
	for ; value >= 1023.95 || value <= -1023.95; value /= 1024 {
		unit++
	}
	return fmt.Sprintf("%.1f%s", value, units[unit])
}

// Count is a number with its noun: "1 layer", "2 layers".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Some are the first of names, and how many more there are.
func Some(names []string, most int) string {
	text := ""
	for i, name := range names {
		if i == most {
			return fmt.Sprintf("%s + %d more...", text, len(names)-most)
		}
		if i > 0 {
			text += ","
		}
		text += name
	}
	return text
}
