<?php

function good($job, &$log)
{
    return 'good';
}
