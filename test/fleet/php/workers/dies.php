<?php
// Ends in every way in which a job should not.

function dies($job, &$log)
{
    switch ($job->workload()) {
        case 'exception':
            throw new RuntimeException('boo from an exception');
        case 'nested':
            try {
                throw new LogicException('boo from inside');
            } catch (LogicException $e) {
                throw new RuntimeException('boo from outside', 1, $e);
            }
        case 'error':
            return no_such_function();
        case 'type':
            return strlen([]);
        case 'zero':
            return intdiv(1, 0);
        case 'fatal':
            return eval('function dies() {}');
        case 'memory':
            ini_set('memory_limit', '32M');
            return strlen(str_repeat('x', 64 << 20));
        case 'recursion':
            ini_set('memory_limit', '32M');
            return deeper(1);
        case 'segv':
            return deepest(1);
        case 'exit':
            exit();
        case 'status':
            exit(3);
        case 'text':
            exit('bye and thanks');
        case 'buffer':
            ob_start();
            die();
        case 'user error':
            trigger_error('boo from the user', E_USER_ERROR);
            return 'after a user error';
        case 'time':
            set_time_limit(1);
            while (true) {
            }
        case 'answered':
            $job->sendComplete('answered before');
            exit();
        case 'pid':
            return getmypid();
        case 'fork':
            return forks(true);
        case 'stray':
            return forks(false);
    }
}

function deeper($n)
{
    return deeper($n + 1) + deeper($n + 2);
}

function deepest($n)
{
    return array_sum(array_map('deepest', [$n + 1]));
}

// forks has a child that exits, or one that returns like the job itself.
function forks($exit)
{
    $child = pcntl_fork();
    if ($child === 0 && $exit) {
        exit(5);
    }
    if ($child === 0) {
        return 'the child';
    }
    pcntl_waitpid($child, $status);

    return 'the parent of a child that ended with ' . pcntl_wexitstatus($status);
}
