package php

import "google.golang.org/protobuf/proto"

// EngineArgs are the settings that every php is started with.
func EngineArgs() []string { return engineArgs() }

// Line is a line of one message, as the host sends it.
func Line(key string, value proto.Message) ([]byte, error) { return encodeProto(key, value) }
