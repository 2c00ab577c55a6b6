<?php

require_once __DIR__ . '/turn.inc';

function high($job, &$log)
{
    return in_turn();
}
