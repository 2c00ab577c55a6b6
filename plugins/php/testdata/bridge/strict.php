<?php
// Turns every error into an exception, and then makes one.
set_error_handler(function ($level, $message, $file, $line) {
    throw new ErrorException($message, 0, $level, $file, $line);
});
trigger_error('an error');
