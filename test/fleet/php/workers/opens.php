<?php
// Opens a file where it is loaded. Each worker reads the file's lines by
// itself.

$GLOBALS['opened'] = fopen(__DIR__ . '/lib/lines.txt', 'r');
$GLOBALS['opener'] = getmypid();

function opens($job, &$log)
{
    return getmypid() . ' ' . $GLOBALS['opener'] . ' ' . trim(fgets($GLOBALS['opened']));
}
