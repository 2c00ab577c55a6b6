package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// jobServer is the gearmand that all contenders work for.
type jobServer struct {
	*child
	host string
	port int
}

// startServer starts gearmand on a free port of 127.0.0.1 and returns when it
// answers.
func startServer(ctx context.Context, program, dir string) (*jobServer, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	s := &jobServer{host: "127.0.0.1", port: port}
	s.child, err = startChild(ctx, dir, program, "--listen="+s.host, "--port="+strconv.Itoa(port), "--log-file=stderr")
	if err != nil {
		return nil, err
	}
	err = poll(ctx, 10*time.Millisecond, 10*time.Second, func() (bool, error) {
		if err := s.exited(); err != nil {
			return false, err
		}
		_, err := s.workers(ctx, "")
		return err == nil, nil // not listening yet
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start job server: %w", err), s.stop(time.Second))
	}
	return s, nil
}

// freePort finds a port that nobody listens on.
func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return 0, fmt.Errorf("find free port: %w", err)
	}
	return port, nil
}

func (s *jobServer) address() string {
	return net.JoinHostPort(s.host, strconv.Itoa(s.port))
}

// dial opens a connection, which is the caller's to close.
func (s *jobServer) dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address())
	if err != nil {
		return nil, fmt.Errorf("connect to job server: %w", err)
	}
	return conn, nil
}

// workers asks how many workers have registered a function.
func (s *jobServer) workers(ctx context.Context, function string) (int, error) {
	q, err := s.query(ctx)
	if err != nil {
		return 0, err
	}
	defer q.close()
	return q.workers(function)
}

// query opens a connection for questions, which is the caller's to close.
func (s *jobServer) query(ctx context.Context) (*query, error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	return &query{conn: conn, answer: bufio.NewScanner(conn)}, nil
}

// query is a connection on which the job server is asked the same question again
// and again. It is of no use any more after an error.
type query struct {
	conn   net.Conn
	answer *bufio.Scanner
}

func (q *query) close() { _ = q.conn.Close() } // nothing of it is needed any more

// workers asks how many workers have registered a function.
func (q *query) workers(function string) (int, error) {
	if err := q.conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return 0, fmt.Errorf("ask for status: %w", err)
	}
	if _, err := q.conn.Write([]byte("status\n")); err != nil {
		return 0, fmt.Errorf("ask for status: %w", err)
	}
	workers := 0
	for q.answer.Scan() {
		if q.answer.Text() == "." {
			return workers, nil
		}
		name, n, err := parseStatus(q.answer.Text())
		if err != nil {
			return 0, err
		}
		if name == function {
			workers = n
		}
	}
	return 0, fmt.Errorf("read status: %w", errors.Join(q.answer.Err(), errors.New("no end of the list")))
}

// parseStatus reads a line "function, queued, running, workers", separated by
// tabs.
func parseStatus(line string) (function string, workers int, err error) {
	fields := strings.Split(line, "\t")
	if len(fields) != 4 {
		return "", 0, fmt.Errorf("parse status: %q", line)
	}
	workers, err = strconv.Atoi(fields[3])
	if err != nil {
		return "", 0, fmt.Errorf("parse status: %w", err)
	}
	return fields[0], workers, nil
}
