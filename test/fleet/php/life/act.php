<?php
// Does what the first word of the workload says; the second is a file to which
// each run is noted, - for none, and the third an argument. A line of that file
// holds the process, the time in nanoseconds, and 1 if the process of the line
// before was still there, else 0.

function act($job, &$log)
{
    [$word, $file, $argument] = explode(' ', trim($job->workload()) . '  ');
    $runs = $file === '-' ? 0 : note_run($file);
    switch ($word) {
        case 'echo':
            return $argument;
        case 'pid':
            usleep(1000 * (int) $argument);
            return getmypid();
        case 'once':
            if ($runs === 1) {
                sleep(60);
            }
            return $runs;
        case 'limits':
            return file_get_contents('/proc/self/limits');
        case 'leak':
            $GLOBALS['leaked'][] = str_repeat('x', 10 << 20);
            return getmypid();
        case 'sleep':
            return sleep(60);
        case 'busy':
            while (true) {
            }
        case 'stuck':
            posix_kill(getmypid(), SIGSTOP);
            return sleep(60);
        case 'segv':
            posix_kill(getmypid(), SIGSEGV);
            return sleep(60);
        case 'kill':
            posix_kill(getmypid(), SIGKILL);
            return sleep(60);
        case 'exit':
            exit(3);
        case 'limit':
            ini_set('memory_limit', '32M');
            return strlen(str_repeat('x', 64 << 20));
        case 'grow':
            while (true) {
                $GLOBALS['leaked'][] = str_repeat('x', 16 << 20);
                usleep(20000);
            }
        case 'big':
            $GLOBALS['leaked'][] = str_repeat('x', 1 << 30);
            return sleep(60);
    }
    throw new InvalidArgumentException("what is $word?");
}

// note_run notes a run and returns how many there are with it.
function note_run($file)
{
    $lines = file_exists($file) ? file($file) : [];
    $alive = $lines && lives((int) end($lines)) ? 1 : 0;
    file_put_contents($file, sprintf("%d %d %d\n", getmypid(), microtime(true) * 1e9, $alive), FILE_APPEND);

    return count($lines) + 1;
}

// lives tells whether a process is there, and not about to end: 4 is PF_EXITING.
function lives($pid)
{
    $stat = @file_get_contents("/proc/$pid/stat");
    $fields = explode(' ', substr((string) strrchr((string) $stat, ')'), 2));

    return count($fields) > 6 && ((int) $fields[6] & 4) === 0;
}
