package config

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// DefaultPort is the port that IANA registered for Gearman's job servers.
const DefaultPort = 4730

// split returns the entries of a list that are not empty. Only a single text is split at commas.
func (it *item) split() ([]string, error) {
	all := it.values
	if !it.list {
		all = strings.Split(it.values[0], ",")
	}
	var out []string
	for _, entry := range all {
		if _, err := line(entry); err != nil {
			return nil, err
		}
		if strings.TrimSpace(entry) != "" {
			out = append(out, entry)
		}
	}
	return out, nil
}

// trimmed is split without the space around the entries.
func (it *item) trimmed() ([]string, error) {
	list, err := it.split()
	for i, entry := range list {
		list[i] = strings.TrimSpace(entry)
	}
	return list, err
}

// paths reads a list of paths, or of patterns for watch.
func (k Key) paths(it *item, cwd string) (any, error) {
	if k.Ours {
		return patterns(it, cwd)
	}
	return directories(it, cwd)
}

// patterns reads a list of patterns for the names of files.
func patterns(it *item, cwd string) (any, error) {
	list, err := it.trimmed()
	if err != nil {
		return nil, err
	}
	for i, pattern := range list {
		if _, err := filepath.Match(pattern, ""); err != nil {
			return nil, wrong("%q is no pattern, want * ? and [a-z], and a backslash before those that are meant as they are", pattern)
		}
		list[i] = absolutePattern(pattern, cwd)
	}
	return list, nil
}

// directories reads a list of directories to search. To GearmanManager the space in "a, b" is a part of the second name, so that it searches only a; to
// search b as well would add workers to a fleet that has done without them.
func directories(it *item, cwd string) (any, error) {
	list, err := it.split()
	if err != nil {
		return nil, err
	}
	var out, spaced []string
	for _, path := range list {
		if strings.TrimSpace(path) != path && !it.list {
			spaced = append(spaced, strconv.Quote(strings.TrimSpace(path)))
			continue
		}
		out = append(out, absolute(path, cwd))
	}
	switch {
	case len(out) == 0:
		return nil, wrong("the list is empty, want at least one path, without spaces beside the comma")
	case len(spaced) > 0:
		return out, &clampedError{fmt.Sprintf(
			"%s is not searched, since the space beside the comma is a part of the name as for GearmanManager, want no spaces in the list",
			strings.Join(spaced, ", "))}
	}
	return out, nil
}

// nameList reads a list of function names. In include the names of files stand as well; without a name beside them all functions are
// meant.
func (k Key) nameList(it *item) (any, error) {
	list, err := it.trimmed()
	if err != nil {
		return nil, err
	}
	if k.Name == includeKey && slices.ContainsFunc(list, isIniFile) {
		if list = slices.DeleteFunc(list, isIniFile); len(list) == 0 {
			list = []string{"*"}
		}
	}
	for _, name := range list {
		if err := CheckFunctionName(name); err != nil {
			return nil, wrong("%v", err)
		}
	}
	return list, nil
}

// hosts reads a list of job servers.
func hosts(it *item) (any, error) {
	list, err := it.trimmed()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, entry := range list {
		address, err := hostPort(entry)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, address) {
			return nil, wrong("the job server %s stands twice, want it once", address)
		}
		out = append(out, address)
	}
	if len(out) == 0 {
		return nil, wrong("the list is empty, want host[:port]")
	}
	return out, nil
}

// hostPort returns host:port, with the default port where none is given. An IPv6 address may stand with or without brackets.
func hostPort(entry string) (string, error) {
	if ip := net.ParseIP(strings.Trim(entry, "[]")); ip != nil {
		return net.JoinHostPort(strings.Trim(entry, "[]"), strconv.Itoa(DefaultPort)), nil
	}
	if strings.ContainsAny(entry, " \t/\"'\\") {
		return "", wrong("%q is no address, want host[:port]", entry)
	}
	host, port := entry, strconv.Itoa(DefaultPort)
	if strings.Contains(entry, ":") {
		var err error
		if host, port, err = net.SplitHostPort(entry); err != nil {
			return "", wrong("%q is no address, want host[:port]", entry)
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || n == 0:
		return "", wrong("%q is no port, want a number from 1 to 65535", port)
	case host == "" || strings.ContainsAny(host, "[]"):
		return "", wrong("%q is no host name, want host[:port]", host)
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}
