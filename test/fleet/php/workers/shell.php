<?php
// Sleeps in a shell the first time that it is asked, and notes its process in
// the file that the workload names.

function shell($job, &$log)
{
    $note = $job->workload();
    if (!file_exists($note)) {
        file_put_contents("$note.new", getmypid());
        rename("$note.new", $note);
        shell_exec('sleep 6');
        return 'slept';
    }

    return 'again';
}
