<?php

function syntax($job, &$log)
{
    return 'no semicolon'
}
