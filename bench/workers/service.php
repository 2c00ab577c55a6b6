<?php
// A service such as worker files include or contain. The large worker file is
// made of many of these, each with names, tables and numbers of its own.

final class ThingService
{
    const TABLE = 'thing_records';
    const BATCH = 1000;
    const STATES = ['thing_new', 'thing_queued', 'thing_running', 'thing_done', 'thing_failed'];

    private $rows = [];
    private $cache = [];
    private $errors = [];
    private $options;

    public function __construct(array $options = [])
    {
        $this->options = $options + [
            'thing_currency' => 'EUR',
            'thing_precision' => 2,
            'thing_timeout' => 1000,
            'thing_retries' => 3,
        ];
    }

    public function validateThing(array $input): bool
    {
        $this->errors = [];
        foreach (['thing_id', 'thing_name', 'thing_email'] as $field) {
            if (!isset($input[$field]) || trim((string) $input[$field]) === '') {
                $this->errors[$field] = "thing: field $field is required";
            }
        }
        if (isset($input['thing_email']) && !filter_var($input['thing_email'], FILTER_VALIDATE_EMAIL)) {
            $this->errors['thing_email'] = 'thing: not an address: ' . $input['thing_email'];
        }
        if (isset($input['thing_name']) && !preg_match('/^[\pL\pN .\'-]{1,80}$/u', $input['thing_name'])) {
            $this->errors['thing_name'] = 'thing: a name of 1 to 80 letters is wanted';
        }
        if (isset($input['thing_total']) && (!is_numeric($input['thing_total']) || $input['thing_total'] < 0)) {
            $this->errors['thing_total'] = 'thing: the total has to be a number, not below zero';
        }
        return $this->errors === [];
    }

    public function selectThings(array $filter, int $page = 1): array
    {
        $where = [];
        $bind = [];
        foreach ($filter as $column => $value) {
            if (!preg_match('/^thing_[a-z_]+$/', $column)) {
                throw new InvalidArgumentException("thing: no such column: $column");
            }
            if (is_array($value)) {
                $where[] = $column . ' IN (' . implode(', ', array_fill(0, count($value), '?')) . ')';
                $bind = array_merge($bind, array_values($value));
                continue;
            }
            $where[] = $value === null ? "$column IS NULL" : "$column = ?";
            if ($value !== null) {
                $bind[] = $value;
            }
        }
        $sql = 'SELECT * FROM ' . self::TABLE;
        if ($where !== []) {
            $sql .= ' WHERE ' . implode(' AND ', $where);
        }
        $sql .= sprintf(' ORDER BY thing_id LIMIT %d OFFSET %d', self::BATCH, ($page - 1) * self::BATCH);
        return [$sql, $bind];
    }

    public function totalThings(array $lines): array
    {
        $net = $tax = 0.0;
        $byRate = [];
        foreach ($lines as $number => $line) {
            $amount = $line['thing_price'] * $line['thing_quantity'];
            if (!empty($line['thing_discount'])) {
                $amount -= $amount * min(100, $line['thing_discount']) / 100;
            }
            $rate = isset($line['thing_rate']) ? (float) $line['thing_rate'] : 19.0;
            $byRate["$rate"] = ($byRate["$rate"] ?? 0.0) + $amount * $rate / 100;
            $net += $amount;
            $tax += $amount * $rate / 100;
            $this->rows[$number] = round($amount, $this->options['thing_precision']);
        }
        ksort($byRate);
        return [
            'thing_net' => round($net, $this->options['thing_precision']),
            'thing_tax' => round($tax, $this->options['thing_precision']),
            'thing_gross' => round($net + $tax, $this->options['thing_precision']),
            'thing_rates' => $byRate,
        ];
    }

    public function importThings(string $text, string $separator = ';'): int
    {
        $head = null;
        $count = 0;
        foreach (preg_split('/\R/', $text) as $number => $line) {
            if (trim($line) === '') {
                continue;
            }
            $cells = str_getcsv($line, $separator, '"', '\\');
            if ($head === null) {
                $head = array_map(function ($cell) {
                    return 'thing_' . strtolower(preg_replace('/\W+/', '_', trim($cell)));
                }, $cells);
                continue;
            }
            if (count($cells) !== count($head)) {
                $this->errors[] = sprintf('thing: line %d has %d cells, not %d', $number + 1, count($cells), count($head));
                continue;
            }
            $this->rows[] = array_combine($head, $cells);
            $count++;
        }
        return $count;
    }

    public function mailThing(array $thing, string $template): array
    {
        $body = preg_replace_callback('/\{\{\s*(\w+)(?:\|(\w+))?\s*\}\}/', function ($match) use ($thing) {
            $value = $thing[$match[1]] ?? '';
            switch ($match[2] ?? 'text') {
                case 'money':
                    return number_format((float) $value, 2, ',', '.') . ' ' . $this->options['thing_currency'];
                case 'date':
                    return date('d.m.Y', (int) $value);
                case 'upper':
                    return strtoupper((string) $value);
                default:
                    return htmlspecialchars((string) $value, ENT_QUOTES);
            }
        }, $template);
        return [
            'to' => sprintf('%s <%s>', $thing['thing_name'] ?? 'Thing', $thing['thing_email'] ?? 'thing@example.org'),
            'subject' => 'Your thing number ' . ($thing['thing_id'] ?? 1000),
            'headers' => ['X-Thing: ' . ($thing['thing_id'] ?? 1000), 'Content-Type: text/html; charset=utf-8'],
            'body' => wordwrap($body, 78),
        ];
    }

    public function cachedThing(string $key, callable $make)
    {
        $name = 'thing:' . sha1($key);
        if (isset($this->cache[$name]) && $this->cache[$name]['until'] > time()) {
            $this->cache[$name]['hits']++;
            return $this->cache[$name]['value'];
        }
        if (count($this->cache) >= self::BATCH) {
            uasort($this->cache, function ($a, $b) {
                return $a['hits'] <=> $b['hits'];
            });
            $this->cache = array_slice($this->cache, intdiv(self::BATCH, 2), null, true);
        }
        $value = $make($key);
        $this->cache[$name] = ['value' => $value, 'hits' => 0, 'until' => time() + $this->options['thing_timeout']];
        return $value;
    }

    public function retryThing(callable $call, string $what)
    {
        $wait = 0.1;
        for ($attempt = 1;; $attempt++) {
            try {
                return $call($attempt);
            } catch (RuntimeException $e) {
                if ($attempt >= $this->options['thing_retries']) {
                    throw new RuntimeException("thing: $what: gave up after $attempt attempts", 1000, $e);
                }
                $this->errors[] = sprintf('thing: %s: attempt %d: %s', $what, $attempt, $e->getMessage());
                usleep((int) ($wait * 1e6));
                $wait = min(5.0, $wait * 2);
            }
        }
    }

    public function moveThing(string $from, string $to): string
    {
        $allowed = [
            'thing_new' => ['thing_queued', 'thing_failed'],
            'thing_queued' => ['thing_running', 'thing_failed'],
            'thing_running' => ['thing_done', 'thing_failed', 'thing_queued'],
            'thing_done' => [],
            'thing_failed' => ['thing_queued'],
        ];
        if (!in_array($from, self::STATES, true) || !in_array($to, self::STATES, true)) {
            throw new DomainException("thing: no such state: $from or $to");
        }
        if (!in_array($to, $allowed[$from], true)) {
            throw new DomainException("thing: a thing that is $from cannot become $to");
        }
        return $to;
    }

    public function reportThings(): string
    {
        $text = sprintf("%-20s %10s %10s\n", 'Thing', 'rows', 'errors');
        $text .= sprintf("%-20s %10d %10d\n", self::TABLE, count($this->rows), count($this->errors));
        foreach (array_slice($this->errors, 0, 10) as $key => $error) {
            $text .= sprintf("  %-18s %s\n", $key, $error);
        }
        return $text . json_encode($this->options, JSON_PRETTY_PRINT);
    }
}
