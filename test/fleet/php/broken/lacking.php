<?php

require 'no/such/file.php';

function lacking($job, &$log)
{
}
