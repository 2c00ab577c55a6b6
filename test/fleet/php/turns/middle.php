<?php

require_once __DIR__ . '/turn.inc';

function middle($job, &$log)
{
    return in_turn();
}
