package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// Events asks for events and calls each with them, one after another. It blocks until
// there are no more: with Follow, until the manager has stopped. It then returns nil,
// and otherwise the error of each, the cause of the end of ctx, or an error as the other
// methods.
func (c *Client) Events(ctx context.Context, q EventsQuery, each func(Event) error) error {
	return stream(ctx, c, "/v1/events"+q.encode(), each)
}

// Logs asks for lines of workers: the last ones of each, then with Follow those that
// follow, and is otherwise like Events. That nobody knows the function or worker is an
// *[AnswerError] with the status 404.
func (c *Client) Logs(ctx context.Context, q LogsQuery, each func(LogLine) error) error {
	return stream(ctx, c, "/v1/logs"+q.encode(), each)
}

// maxLine is how long a line of a stream may be.
const maxLine = 16 << 20

// stream reads an answer of one object in each line.
func stream[T any](ctx context.Context, c *Client, path string, each func(T) error) error {
	resp, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it ends the stream
	if resp.StatusCode != http.StatusOK {
		data, err := io.ReadAll(io.LimitReader(resp.Body, maxLine))
		if err != nil {
			return fmt.Errorf("ask the manager: %w", err)
		}
		return refusal(resp.StatusCode, data)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var value T
		if err := json.Unmarshal(lines.Bytes(), &value); err != nil {
			return fmt.Errorf("ask the manager: read its answer: %w", err)
		}
		if err := each(value); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	} else if err != nil {
		return fmt.Errorf("ask the manager: %w", errors.Join(errCut, err))
	}
	return nil
}

// errCut says that a stream ended in the middle.
var errCut = errors.New("its answer was cut off")

// encode is the query as it stands behind the path.
func (q StatusQuery) encode() string {
	return encode(map[string]string{"function": q.Function, "rss": flag(q.Memory)})
}

func (q EventsQuery) encode() string {
	values := map[string]string{"function": q.Function, "follow": flag(q.Follow)}
	if q.Since > 0 {
		values["since"] = strconv.FormatUint(q.Since, 10)
	}
	if q.Last != nil {
		values["last"] = strconv.Itoa(*q.Last)
	}
	return encode(values)
}

func (q LogsQuery) encode() string {
	return encode(map[string]string{"function": q.Function, "worker": q.Worker, "follow": flag(q.Follow)})
}

func flag(set bool) string {
	if set {
		return "1"
	}
	return ""
}

// encode leaves out what is empty.
func encode(values map[string]string) string {
	query := url.Values{}
	for key, value := range values {
		if value != "" {
			query.Set(key, value)
		}
	}
	if len(query) == 0 {
		return ""
	}
	return "?" + query.Encode()
}
