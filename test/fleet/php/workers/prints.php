<?php
// Prints wherever it can. None of that belongs into the answer.

function prints($job, &$log)
{
    echo "echoed\n";
    print "printed\n";
    var_dump(['var dumped']);
    printf("%s\n", 'formatted');
    fwrite(STDOUT, "to STDOUT\n");
    fwrite(STDERR, "to STDERR\n");
    file_put_contents('php://stdout', "to php://stdout\n");
    file_put_contents('php://stderr', "to php://stderr\n");
    file_put_contents('php://output', "to php://output\n");
    error_log('to the error log');
    trigger_error('a notice to the user', E_USER_NOTICE);
    echo "\0REQ\0\0\0\x0d\n";
    ob_start();
    echo "in a buffer\n";
    echo 'without a line end';

    return 'read ' . var_export(fgets(STDIN), true);
}
