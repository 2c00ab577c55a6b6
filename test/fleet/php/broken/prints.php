<?php

echo "printed while loading\n";

function prints($job, &$log)
{
    return 'good too';
}
