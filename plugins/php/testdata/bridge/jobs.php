<?php
// Jobs for the tests of the bridge.

function reverse($job, &$log)
{
    return strrev($job->workload());
}

function upper($job, &$log)
{
    return strtoupper($job->workload());
}

// Answers with what it was given.
function same($job, &$log)
{
    return $job->workload();
}

function throws($job, &$log)
{
    throw new RuntimeException($job->workload());
}

function sized($job, &$log)
{
    return str_repeat('x', (int) $job->workload());
}

// Says that it has begun, and waits until the file exists that the workload names. Takes
// so long that the worker looks at its control channel afterwards.
function gate($job, &$log)
{
    $job->sendStatus(1, 2);
    do {
        usleep(2000);
        clearstatcache();
    } while (!file_exists($job->workload()));
    return 'open';
}

function worker($job, &$log)
{
    return getenv('GEARMAN_WORKER');
}

// Runs until it is stopped.
function endless($job, &$log)
{
    $job->sendStatus(1, 2);
    while (true) {
        usleep(2000);
    }
}

// Runs on whatever is thrown into it.
function stubborn($job, &$log)
{
    $job->sendStatus(1, 2);
    while (true) {
        try {
            while (true) {
                usleep(2000);
            }
        } catch (\Throwable $e) {
            $job->sendWarning($e->getMessage());
        }
    }
}

// Notices that its time is over and comes to an end.
function yields($job, &$log)
{
    try {
        while (true) {
            usleep(2000);
        }
    } catch (\Throwable $e) {
        return 'as far as it came';
    }
}

// Sends more than a socket holds, again and again, until it is stopped.
function talks($job, &$log)
{
    $part = str_repeat('y', 3000000);
    while (true) {
        $job->sendData($part);
    }
}

// From now on every error is an exception.
function strict($job, &$log)
{
    set_error_handler(function ($level, $message, $file, $line) {
        throw new ErrorException($message, 0, $level, $file, $line);
    });
    return 'strict';
}

function undefined($job, &$log)
{
    return $nothing;
}

final class Bomb
{
    public function __destruct()
    {
        throw new RuntimeException('boom');
    }
}

// Leaves an object in the job that throws when it goes.
function bomb($job, &$log)
{
    throw_with(new Bomb());
}

function throw_with($argument)
{
    throw new RuntimeException('with a bomb');
}

function prints($job, &$log)
{
    ob_start();
    ob_start();
    echo 'printed by ' . $job->handle() . "\n";
    return 'printed';
}

function prints_badly($job, &$log)
{
    ob_start(function ($text, $phase) {
        throw new RuntimeException('no output');
    });
    echo 'x';
    return 'printed';
}

function logs($job, &$log)
{
    $log[] = 'a line';
    $log[] = ['a', 'list'];
    return 'logged';
}

function ends($job, &$log)
{
    exit(0);
}

function shutdown($job, &$log)
{
    register_shutdown_function(function () {
        exit(3);
    });
    return 'registered';
}

function fatal($job, &$log)
{
    ini_set('memory_limit', '32M');
    return strlen(str_repeat('x', 1 << 30));
}

// Forks a process that returns from the job, too.
function forks($job, &$log)
{
    $child = pcntl_fork();
    if ($child > 0) {
        pcntl_waitpid($child, $status);
        return 'parent';
    }
    return 'child';
}

function answers($job, &$log)
{
    $job->sendComplete('by itself');
    $job->sendComplete('again');
    $job->sendData('late');
    return 'returned';
}

function fails($job, &$log)
{
    $job->sendFail();
}

$kept = null;

// Keeps the job, and uses the one that it kept before.
function keeps($job, &$log)
{
    global $kept;
    $sent = $kept ? var_export($kept->sendData('from the grave'), true) : 'first';
    $kept = $job;
    return $sent;
}

function handlers($job, &$log)
{
    // More than were set: the worker's own must not be among them.
    restore_error_handler();
    restore_error_handler();
    restore_exception_handler();
    set_exception_handler(function () {
        echo "an exception of the worker\n";
    });
    return 'restored';
}

function memory($job, &$log)
{
    static $held = [];
    $held[] = str_repeat('x', (int) $job->workload());
    return (string) count($held);
}

// Takes so many milliseconds.
function late($job, &$log)
{
    usleep(1000 * (int) $job->workload());
    return 'late';
}

// Hangs an object on the job that throws when it goes.
function hangs_on($job, &$log)
{
    @$job->bomb = new Bomb();
    return 'hung';
}

// Forks a process that ends in the job, and then ends, too.
function fork_ends($job, &$log)
{
    $child = pcntl_fork();
    if ($child > 0) {
        pcntl_waitpid($child, $status);
    }
    exit(0);
}

// Takes so many milliseconds as the workload says.
function sleeps($job, &$log)
{
    usleep(1000 * (int) $job->workload());
    return 'slept';
}

function fails_slowly($job, &$log)
{
    throw new RuntimeException(sleeps($job, $log));
}

function exits_slowly($job, &$log)
{
    sleeps($job, $log);
    exit(0);
}
