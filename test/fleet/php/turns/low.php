<?php

require_once __DIR__ . '/turn.inc';

function low($job, &$log)
{
    return in_turn();
}
