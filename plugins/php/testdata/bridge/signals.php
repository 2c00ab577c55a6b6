<?php
// Jobs with signal handlers that run while a large packet waits to be written.

const LARGE = 20000000;

// Tells the client how far it is whenever it is signalled.
function tells($job, &$log)
{
    pcntl_signal(SIGUSR1, function () use ($job) {
        $job->sendStatus(1, 2);
        fwrite(STDOUT, "told\n");
    });
    $job->sendData(str_repeat('x', LARGE));
    return 'done';
}

// Gives up when it is signalled.
function gives_up($job, &$log)
{
    pcntl_signal(SIGUSR1, function () {
        pcntl_signal(SIGUSR1, SIG_IGN);
        throw new RuntimeException('enough');
    });
    $job->sendData(str_repeat('x', LARGE));
    return 'done';
}
