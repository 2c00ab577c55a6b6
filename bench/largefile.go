package main

import (
	"fmt"
	"strconv"
	"strings"
)

// largeLines is the length of the large worker file.
const largeLines = 2500

// largeFile makes a worker file of at least this many lines: the function of
// worker, and classes after the pattern of service, each with names, strings and
// numbers of its own, so that no two share anything but their shape.
func largeFile(worker, service string, lines int) string {
	_, class, _ := strings.Cut(service, "\nfinal class ")
	class = "\nfinal class " + class
	var out strings.Builder
	out.WriteString(worker)
	count := strings.Count(worker, "\n")
	for i := 0; count < lines; i++ {
		noun := nouns()[i%len(nouns())]
		if i >= len(nouns()) {
			noun += strconv.Itoa(i / len(nouns()))
		}
		renamed := strings.NewReplacer(
			"Thing", strings.ToUpper(noun[:1])+noun[1:],
			"thing", noun,
			"1000", fmt.Sprint(1000+i),
		).Replace(class)
		out.WriteString(renamed)
		count += strings.Count(renamed, "\n")
	}
	return out.String()
}

// nouns are what the services of the large worker file are about.
func nouns() []string {
	return []string{
		"invoice", "customer", "order", "image", "article", "supplier", "payment", "parcel",
		"ticket", "contract", "voucher", "report", "session", "address", "campaign", "delivery",
	}
}
