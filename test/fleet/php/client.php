<?php
// Submits jobs in the ways that PHP's GearmanClient knows, and prints what came
// of them as JSON.
//
// Usage: php client.php HOST PORT

function client($argv)
{
    $client = new GearmanClient();
    $client->addServer($argv[1], (int) $argv[2]);
    $client->setTimeout(30000);

    return $client;
}

// foreground has a job done and keeps what is said on the way.
function foreground($client, $function, $workload, $how = 'doNormal')
{
    $said = [];
    do {
        $result = $client->$how($function, $workload);
        $code = $client->returnCode();
        if ($code === GEARMAN_WORK_DATA) {
            $said[] = "data $result";
        } elseif ($code === GEARMAN_WORK_WARNING) {
            $said[] = "warning $result";
        } elseif ($code === GEARMAN_WORK_STATUS) {
            $said[] = 'status ' . implode('/', $client->doStatus());
        } elseif ($code === GEARMAN_SUCCESS) {
            $said[] = "complete $result";
        } else {
            $said[] = 'failed';
        }
    } while (in_array($code, [GEARMAN_WORK_DATA, GEARMAN_WORK_STATUS, GEARMAN_WORK_WARNING], true));

    return $said;
}

// tasks has several jobs done at the same time.
function tasks($client, $tasks)
{
    $said = [];
    $note = function ($kind) use (&$said) {
        return function ($task, $name) use (&$said, $kind) {
            $text = $kind === 'status' ? $task->taskNumerator() . '/' . $task->taskDenominator() : $task->data();
            $said[$name][] = rtrim("$kind $text");
        };
    };
    $client->setDataCallback($note('data'));
    $client->setWarningCallback($note('warning'));
    $client->setStatusCallback($note('status'));
    $client->setCompleteCallback($note('complete'));
    $client->setExceptionCallback($note('exception'));
    $client->setFailCallback($note('fail'));
    foreach ($tasks as $name => $task) {
        $client->addTask($task[0], $task[1], $name);
    }
    $client->runTasks();

    return $said;
}

// background submits a job and waits until it is not known any more.
function background($client, $function, $workload)
{
    $handle = $client->doBackground($function, $workload);
    $code = $client->returnCode();
    for ($i = 0; $i < 3000 && $client->jobStatus($handle)[0]; $i++) {
        usleep(10000);
    }

    return [$code === GEARMAN_SUCCESS, $client->jobStatus($handle)[0]];
}

echo json_encode([
    'normal' => foreground(client($argv), 'reverse', 'Hello'),
    'high' => foreground(client($argv), 'reverse', 'Hello', 'doHigh'),
    'low' => foreground(client($argv), 'reverse', 'Hello', 'doLow'),
    'binary' => foreground(client($argv), 'duplicate', implode(' ', range(1, 9))),
    'report' => foreground(client($argv), 'report', 'new'),
    'refuse' => foreground(client($argv), 'refuse', 'fail'),
    'background' => background(client($argv), 'nap', '50'),
    'tasks' => tasks(client($argv), [
        'reverse' => ['reverse', 'abc'],
        'report' => ['report', 'new'],
        'fails' => ['refuse', 'sendFail'],
        'refuses' => ['refuse', 'sendException'],
        'throws' => ['dies', 'exception'],
    ]),
]), "\n";
