<?php

function missnamed($job, &$log)
{
    return 'not found';
}
