package cli

// CommandNames are the commands, the manager itself first, with an empty name.
func CommandNames() []string { return append([]string{""}, commandNames()...) }
