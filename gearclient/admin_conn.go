package gearclient

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// adminConn is one connection of an Admin. Who has the Admin's turn owns it.
type adminConn struct {
	raw  net.Conn
	br   *bufio.Reader
	addr string
	cfg  AdminConfig
	left int64 // bytes that the reply may still have
}

func newAdminConn(raw net.Conn, addr string, cfg AdminConfig) *adminConn {
	c := &adminConn{raw: raw, addr: addr, cfg: cfg}
	c.br = bufio.NewReader(adminStream{c})
	return c
}

// adminStream is the connection as its reader sees it: every read has a
// deadline of its own.
type adminStream struct{ c *adminConn }

func (s adminStream) Read(b []byte) (int, error) {
	if err := s.c.raw.SetReadDeadline(time.Now().Add(s.c.cfg.Timeout)); err != nil {
		return 0, err
	}
	return s.c.raw.Read(b)
}

// exchange sends a command and reads its reply. usable tells whether the
// connection stands at the end of that reply, so that it can be used again.
func (c *adminConn) exchange(command string, end adminEnd, line func(string) error) (usable bool, err error) {
	if err := c.send(command); err != nil {
		return false, c.lost(err)
	}
	c.left = c.cfg.MaxReply
	for n := 0; ; n++ {
		text, err := c.readLine()
		if err != nil {
			return false, c.lost(err)
		}
		done, err := c.take(text, n, end, line)
		if done || err != nil {
			_, refused := errors.AsType[*ServerError](err)
			return (err == nil || refused) && end != adminDotUnsure && c.br.Buffered() == 0, err
		}
	}
}

// take handles line n of a reply and tells whether it was the last.
func (c *adminConn) take(text string, n int, end adminEnd, line func(string) error) (done bool, err error) {
	if end != adminOneLine && text == "." {
		return true, nil
	}
	err = line(text)
	switch {
	case n == 0 && adminIsError(text) && (end == adminOneLine || err != nil || strings.HasPrefix(text, "ERR UNKNOWN_COMMAND")):
		return true, adminServerError(c.addr, text)
	case err != nil:
		return true, &ReplyError{Server: c.addr, Line: text, Problem: err.Error()}
	default:
		return end == adminOneLine, nil
	}
}

// send writes one command. CRLF, because gearmand cuts the last letter of
// "create function" otherwise.
func (c *adminConn) send(command string) error {
	if err := c.raw.SetWriteDeadline(time.Now().Add(c.cfg.Timeout)); err != nil {
		return err
	}
	_, err := io.WriteString(c.raw, command+"\r\n")
	return err
}

// readLine reads one line, within the cap of the reply.
func (c *adminConn) readLine() (string, error) {
	var line []byte
	for {
		part, err := c.br.ReadSlice('\n')
		c.left -= int64(len(part))
		if c.left < 0 {
			return "", &ReplyError{Server: c.addr, Line: string(part), Problem: fmt.Sprintf("the reply has over %d bytes", c.cfg.MaxReply)}
		}
		line = append(line, part...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return "", err
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
	}
}

// lost gives the end of the connection its meaning.
func (c *adminConn) lost(err error) error {
	if _, ok := errors.AsType[*ReplyError](err); ok {
		return err
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("the server sent nothing for %v: %w", c.cfg.Timeout, err)
	case errors.Is(err, io.EOF):
		err = fmt.Errorf("the server closed it: %w", err)
	}
	return &LostError{Server: c.addr, Err: err}
}
