package supervisor

// Limits are what the kernel holds a process to, and all that it starts. The zero
// value changes nothing.
type Limits struct {
	// NoFile is how many descriptors may be open (RLIMIT_NOFILE); 0: unchanged.
	NoFile uint64
	// Data is how many bytes of private writable memory may be mapped (RLIMIT_DATA);
	// 0: unchanged.
	Data uint64
	// Core is how many bytes a core dump may have (RLIMIT_CORE), if SetCore is true.
	Core    uint64
	SetCore bool
	// Nice is the priority, -20 (served first) to 19; 0: unchanged.
	Nice int
}
