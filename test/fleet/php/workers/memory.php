<?php
// Answers with the bytes that php uses.

function memory($job, &$log)
{
    return memory_get_usage();
}
