<?php
// Requires the config file that the first argument names, and writes to descriptor 3 as JSON what it has set, or why it has not.
// Texts are in base64, since they may hold any bytes. Nothing that the file prints, defines or handles gets in the way: what is
// needed is in the variables of one function that the file does not see.
(static function ($file) {
    $out = fopen('php://fd/3', 'wb');
    $answer = ['set' => false, 'warnings' => []];
    $done = false;
    $fault = static function ($kind, $message, $file, $line) {
        return ['kind' => $kind, 'message' => base64_encode($message), 'file' => base64_encode($file), 'line' => $line];
    };
    $value = static function ($v, $depth) use (&$value) {
        if (is_array($v)) {
            if ($depth === 0) {
                return ['kind' => 'deep'];
            }
            $entries = [];
            foreach ($v as $name => $entry) {
                $entries[] = ['key' => base64_encode((string) $name), 'value' => $value($entry, $depth - 1)];
            }
            return ['kind' => 'array', 'entries' => $entries];
        }
        if ($v === null || $v === false) {
            return ['kind' => $v === null ? 'null' : 'false'];
        }
        if (is_scalar($v)) {
            return ['kind' => 'text', 'text' => base64_encode((string) $v)];
        }
        return ['kind' => 'other', 'text' => base64_encode(is_object($v) ? get_class($v) : gettype($v))];
    };
    register_shutdown_function(static function () use ($out, &$answer, &$done, $fault) {
        $last = error_get_last();
        if (!$done && $last !== null && ($last['type'] & (E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR))) {
            $answer['fault'] = $fault('fatal', $last['message'], $last['file'], $last['line']);
        } elseif (!$done) {
            $answer['fault'] = $fault('exit', '', '', 0);
        }
        fwrite($out, json_encode($answer));
        fflush($out);
    });
    set_error_handler(static function ($level, $message, $file, $line) use (&$answer, $fault) {
        if ($level === E_USER_ERROR) {
            return false;
        }
        if ((error_reporting() & $level & ~(E_DEPRECATED | E_USER_DEPRECATED)) && count($answer['warnings']) < 20) {
            $answer['warnings'][] = $fault('warning', $message, $file, $line);
        }
        return true;
    });
    $load = static function () {
        require func_get_arg(0);
        $set = get_defined_vars();
        return array_key_exists('gearman_config', $set) ? [$set['gearman_config']] : [];
    };
    try {
        $set = $load($file);
        if ($set) {
            $answer['set'] = true;
            $answer['config'] = $value($set[0], 3);
        }
        $answer['files'] = array_map('base64_encode', array_slice(get_included_files(), 0, 1000));
    } catch (\Throwable $e) {
        $answer['fault'] = $e instanceof \ParseError
            ? $fault('parse', $e->getMessage(), $e->getFile(), $e->getLine())
            : $fault('throw', get_class($e) . ': ' . $e->getMessage(), $e->getFile(), $e->getLine());
    }
    $done = true;
    exit(0);
})($argv[1]);
