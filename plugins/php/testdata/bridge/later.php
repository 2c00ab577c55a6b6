<?php
// Turns every error into an exception of its own, from when it is loaded.
set_error_handler(function ($level, $message, $file, $line) {
    throw new ErrorException('of the later file: ' . $message, 0, $level, $file, $line);
});

function later($job, &$log)
{
    return $nothing;
}
