package php_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// playPHP is a process that the host takes for php: it speaks as the bridge does,
// and in most modes at some point not.
func playPHP(args []string) int {
	at := slices.IndexFunc(args, func(a string) bool { return strings.HasSuffix(a, "/bridge.php") })
	if at < 0 || len(args) < at+3 {
		_, _ = fmt.Fprintln(os.Stderr, "no bridge")
		return 2
	}
	p := &peer{socket: args[at+2], marker: os.Getenv(markerFile)}
	switch args[at+1] {
	case "parent":
		p.mode, p.id = os.Getenv(parentMode), args[at+3]
		return p.parent()
	case "middle":
		return p.middle(args[at+2:])
	default:
		p.mode, p.id = os.Getenv(workerMode), args[at+3]
		return p.worker()
	}
}

type peer struct {
	mode, socket, id, marker string
	conn                     *net.UnixConn
	in                       *bufio.Reader
}

func (p *peer) connect() {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: p.socket, Net: "unix"})
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(9)
	}
	p.conn, p.in = conn, bufio.NewReader(conn)
}

func (p *peer) say(format string, args ...any) { _, _ = fmt.Fprintf(p.conn, format+"\n", args...) }

// hear is the next line as an object; nil at the end.
func (p *peer) hear() map[string]json.RawMessage {
	line, err := p.in.ReadBytes('\n')
	if err != nil {
		return nil
	}
	heard := map[string]json.RawMessage{}
	if err := json.Unmarshal(line, &heard); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(9)
	}
	return heard
}

// hang lives until it is killed.
func hang() int { select {} }

// first tells whether this is the first process to ask that.
func (p *peer) first() bool {
	f, err := os.OpenFile(p.marker, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	_ = f.Close()
	return err == nil
}

func (p *peer) parent() int {
	pid, sapi, forks := os.Getpid(), "cli", true
	switch p.mode {
	case "silent":
		return hang()
	case "exits":
		_, _ = fmt.Fprintln(os.Stderr, "[22-Nov-2026 23:30:00 UTC] PHP Fatal error:  Unable to start")
		_, _ = fmt.Fprintln(os.Stderr, "more")
		return 3
	case "stranger":
		pid++
	case "cgi":
		sapi = "cgi-fcgi"
	case "does not fork":
		forks = false
	case "forgets how to fork":
		forks = p.first()
	}
	p.connect()
	if p.mode == "babbles before" {
		p.say("}{")
		return hang()
	}
	p.say(`{"parent":{"id":%q,"php":"9.1.2","pcntl":%t,"opcache":true,"gearman":false,"sapi":%q,"pid":%d}}`, p.id, forks, sapi, pid)
	p.obey()
	return 0
}

// obey does what a parent is told, until the end.
func (p *peer) obey() {
	for heard := p.hear(); heard != nil; heard = p.hear() {
		var order struct{ ID, Stdout, Stderr string }
		_ = json.Unmarshal(heard["fork"], &order)
		switch {
		case heard["preload"] != nil && p.mode == "cannot preload":
			p.say(`{"not_preloaded":"no such class"}`)
		case heard["preload"] != nil && p.mode == "dies preloading":
			os.Exit(0)
		case heard["preload"] != nil:
			_, _ = fmt.Fprintf(os.Stdout, "preloads %s\n", heard["preload"])
			p.say(`{"preloaded":true}`)
		default:
			p.fork(order.ID, order.Stdout, order.Stderr)
		}
	}
}

func (p *peer) fork(id, stdout, stderr string) {
	switch p.mode {
	case "mute":
		hang()
	case "mute at first":
		if p.first() {
			hang()
		}
	case "dies at first":
		if p.first() {
			os.Exit(0)
		}
	case "dies", "forgets how to fork":
		os.Exit(0)
	case "cannot fork":
		p.say(`{"not_forked":%q,"error":"Resource temporarily unavailable"}`, id)
		return
	case "babbles":
		p.say("{\x00\xff")
		hang()
	case "never ends a line":
		_, _ = io.Copy(p.conn, endless{})
		hang()
	case "floods":
		for range 1000 {
			p.say(`{"forked":"another"}`)
		}
	case "forks nobody":
		p.say(`{"forked":%q}`, id)
		return
	case "forks a stranger":
		p.say(`{"forked":%q,"pid":1}`, id)
		return
	case "forks and dies":
		p.forkAndDie(id, stdout, stderr)
	}
	p.say(`{"forked":%q,"pid":%d}`, id, p.double(id, stdout, stderr))
}

// forkAndDie says that it has forked, and then takes along what it has. The second
// time it only forks.
func (p *peer) forkAndDie(id, stdout, stderr string) {
	if !p.first() {
		return
	}
	pid := p.double(id, stdout, stderr)
	_ = syscall.Kill(pid, syscall.SIGKILL)
	p.say(`{"forked":%q,"pid":%d}`, id, pid)
	os.Exit(0)
}

// double starts a process whose parent dies, as a process that forks twice does, and
// returns its number.
func (p *peer) double(id, stdout, stderr string) int {
	self, _ := os.Executable()
	cmd := exec.Command(self, "/bridge.php", "middle", p.socket, id, stdout, stderr)
	said, err := cmd.Output()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
	}
	pid, _ := strconv.Atoi(string(said))
	return pid
}

func (*peer) middle(args []string) int {
	self, _ := os.Executable()
	cmd := exec.Command(self, "/bridge.php", "worker", args[0], args[1])
	cmd.Stdout, _ = os.OpenFile(args[2], os.O_WRONLY, 0)
	cmd.Stderr, _ = os.OpenFile(args[3], os.O_WRONLY, 0)
	// One that has executed a program cannot be moved into a group any more.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return 1
	}
	_, _ = fmt.Fprint(os.Stdout, cmd.Process.Pid)
	return 0
}

// endless is a line without an end.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'a'
	}
	return len(b), nil
}

func (p *peer) worker() int {
	pid := os.Getpid()
	switch p.mode {
	case "never connects":
		return hang()
	case "exits before it connects":
		_, _ = fmt.Fprintln(os.Stderr, "cannot load libphp.so")
		return 4
	case "lies about its pid":
		pid++
	}
	p.connect()
	p.say(`{"id":%q,"pid":%d}`, p.id, pid)
	heard := p.hear()
	if files, ok := heard["inspect"]; ok {
		return p.inspect(files)
	}
	if heard["run"] == nil {
		return 7
	}
	if code, over := p.greet(); over {
		return code
	}
	return p.work(string(heard["run"]))
}

// greet is what comes instead of hello, or hello.
func (p *peer) greet() (code int, over bool) {
	contract := 1
	switch p.mode {
	case "refuses":
		p.say(`{"refused":"there is no function resize"}`)
		return 0, true
	case "garbage for hello":
		p.say("Warning: something in x.php on line 3")
		return hang(), true
	case "nothing for hello":
		p.say(`{"event":null}`)
		return hang(), true
	case "pong for hello":
		p.say(`{"pong":1}`)
		return hang(), true
	case "ready for hello":
		p.say(`{"event":{"ready":{"slot":0}}}`)
		return hang(), true
	case "contract of version 7":
		contract = 7
	case "exits while loading":
		_, _ = fmt.Fprintln(os.Stderr, "[22-Nov-2026 23:30:00 Europe/Berlin] PHP Fatal error:  Allowed memory size exhausted")
		_, _ = fmt.Fprintln(os.Stderr, "[22-Nov-2026 23:30:00 Europe/Berlin] Stack trace:")
		return 255, true
	case "leaves somebody while loading":
		return p.leaveSomebody(), true
	case "closes while loading":
		_ = p.conn.Close()
		return hang(), true
	case "loads for ever":
		return hang(), true
	case "endless hello":
		_, _ = io.Copy(p.conn, endless{})
		return hang(), true
	}
	p.say(`{"event":{"hello":{"pid":%d,"description":{"contract":%d,"version":"PHP 9","functions":["reverse"]}}}}`, os.Getpid(), contract)
	return 0, false
}

// work tells each line that it reads as an event, so that a test sees it.
func (p *peer) work(run string) int {
	switch p.mode {
	case "deaf":
		return hang()
	case "exits":
		for slot := range burst {
			p.say(`{"event":{"busy":{"slot":%d}}}`, slot)
		}
		return 5
	case "is cut off":
		p.say(`{"event":{"busy":{}}}`)
		_, _ = fmt.Fprint(p.conn, `{"event":{"idle":{}}`)
		return 6
	case "leaves somebody with the socket":
		return p.leaveSomebody()
	}
	if text, ok := hostile()[p.mode]; ok {
		p.say(`{"event":{"busy":{"slot":1}}}`)
		p.say("%s", text)
	}
	p.tell(run)
	for heard := p.hear(); heard != nil; heard = p.hear() {
		text, _ := json.Marshal(heard)
		switch {
		case heard["drain"] != nil:
			p.tell(string(text))
			p.say(`{"event":{"left":{"counters":{"done":"12345678901"}}}}`)
		case heard["ping"] != nil && p.mode == "no pong":
		case heard["ping"] != nil:
			p.say(`{"pong":99}`)
			p.say(`{"pong":%s}`, heard["ping"])
		default:
			p.tell(string(text))
		}
	}
	_, _ = fmt.Fprintln(os.Stdout, "released")
	return 0
}

func (p *peer) tell(text string) {
	quoted, _ := json.Marshal(text)
	p.say(`{"event":{"log":{"message":%s}}}`, quoted)
}

// burst is how many events a worker sends before it exits: more than wait for their
// reader in the host.
const burst = 30

// hostile are lines that end the connection.
func hostile() map[string]string {
	return map[string]string{
		"says no JSON":           "PHP Warning:  x",
		"says something unknown": `{"coffee":true}`,
		"says nothing":           `{}`,
		"says an empty line":     "",
		"says an array":          `[1,2]`,
		"says a NUL":             "\x00",
		"says an empty event":    `{"event":{}}`,
		"says an unknown event":  `{"event":{"party":{}}}`,
		"says two events":        `{"event":{"busy":{},"idle":{}}}`,
		"says a wrong event":     `{"event":{"busy":{"slot":-1}}}`,
		"says a huge number":     `{"event":{"left":{"counters":{"done":99999999999999999999}}}}`,
		"says broken UTF-8":      "{\"event\":{\"log\":{\"message\":\"\xff\"}}}",
		"nests":                  `{"event":` + strings.Repeat("[", 100_000),
		"nests well":             `{"event":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`,
		"says a long line":       `{"event":"` + strings.Repeat("x", 17<<20) + `"}`,
	}
}

// leaveSomebody ends while a process that has left the group holds its socket and
// its outputs.
func (p *peer) leaveSomebody() int {
	file, err := p.conn.File()
	if err != nil {
		return 8
	}
	cmd := exec.Command("/bin/sleep", "100")
	cmd.ExtraFiles = []*os.File{file}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 8
	}
	if p.mode == "leaves somebody while loading" {
		_, _ = fmt.Fprintln(os.Stderr, cmd.Process.Pid)
		return 12
	}
	p.say(`{"event":{"lost":{"server":%q}}}`, fmt.Sprint(cmd.Process.Pid))
	return 0
}

func (p *peer) inspect(order json.RawMessage) int {
	var list struct {
		Files []struct{ Function, File string }
	}
	_ = json.Unmarshal(order, &list)
	for _, f := range list.Files {
		switch f.Function {
		case "good":
			p.say(`{"inspected":{"function":%q,"file":%q,"error":"","in":"","line":0}}`, f.Function, f.File)
		case "bad":
			p.say(`{"inspected":{"function":%q,"file":%q,"error":"syntax error","in":"/lib.php","line":7}}`, f.Function, f.File)
		case "fatal":
			p.say(`{"inspected":{"function":%q,"file":%q,"error":"it called exit()"}}`, f.Function, f.File)
			return 0
		case "dies":
			_, _ = fmt.Fprintln(os.Stderr, "out of luck")
			return 11
		case "hangs":
			return hang()
		case "babbles":
			p.say("\x01\x02")
			return hang()
		}
	}
	return 0
}
